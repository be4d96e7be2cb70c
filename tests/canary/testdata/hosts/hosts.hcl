# The lab writes its own here.
