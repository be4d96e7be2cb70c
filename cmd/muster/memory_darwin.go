package main

// inMemory reports that there is no such folder: macOS mounts none.
func inMemory(string) bool { return false }
