# Outside of groups there are no names to list.
hosts = ["web1"] # ERROR: Invalid hosts: hosts = { app1 = { address = "10.0.1.21" } }.
