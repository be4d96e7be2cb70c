# This repository is a muster project: the reference site lies in playbooks/.
host_keys = "strict"
