package lab

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
)

const (
	ubuntuHost = "archive.ubuntu.com"

	// ubuntuKeyring is the package with the keys that Ubuntu's releases are signed with.
	// Debian has it not, so that it is taken from the mirror and known by its SHA-256;
	// the key in it that counts is F6ECB3762474EDA9D21B7022871920D1991BC93C, "Ubuntu
	// Archive Automatic Signing Key (2018)".
	ubuntuKeyring    = "/ubuntu/pool/main/u/ubuntu-keyring/ubuntu-keyring_2023.11.28.1_all.deb"
	ubuntuKeyringSum = "36de43b15853ccae0028e9a767613770c704833f82586f28eb262f0311adb8a8"
	largestKeyring   = 1 << 20
)

// ubuntu reports whether a suite is one of Ubuntu's.
func ubuntu(suite string) bool { return suite == "noble" || suite == "jammy" }

// ubuntuKeys fetches the keyring of Ubuntu's archive, unpacks it in dir and returns its
// path. It is an error if it isn't the one that is pinned.
func ubuntuKeys(ctx context.Context, client *http.Client, dir string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+ubuntuHost+ubuntuKeyring, nil)
	if err != nil {
		return "", err
	}
	r, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer r.Body.Close()
	deb, err := io.ReadAll(io.LimitReader(r.Body, largestKeyring))
	if err != nil {
		return "", err
	}
	if sum := sha256.Sum256(deb); hex.EncodeToString(sum[:]) != ubuntuKeyringSum {
		return "", fmt.Errorf("%s: %s isn't the keyring that is pinned: its SHA-256 is %x, not %s", ubuntuHost, r.Status, sum, ubuntuKeyringSum)
	}
	file := filepath.Join(dir, "keyring.deb")
	if err := os.WriteFile(file, deb, 0o600); err != nil {
		return "", err
	}
	if out, err := exec.CommandContext(ctx, "dpkg-deb", "-x", file, dir).CombinedOutput(); err != nil {
		return "", fmt.Errorf("unpacking it: %w: %s", err, out)
	}
	return filepath.Join(dir, "usr/share/keyrings/ubuntu-archive-keyring.gpg"), nil
}
