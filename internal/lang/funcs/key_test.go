package funcs

// testKey is no key at all: rsadecrypt looks at its first argument first.
const testKey = "-----BEGIN RSA PRIVATE KEY-----\n-----END RSA PRIVATE KEY-----\n"
