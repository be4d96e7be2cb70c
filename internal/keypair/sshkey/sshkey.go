// Package sshkey makes SSH keys, as ssh-keygen writes them, and reads what is public of them.
package sshkey

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/ssh"

	"muster/secret"
)

// CheckComment says why a text can't be the comment of an SSH key; nil where it can.
func CheckComment(text string) error {
	if text != strings.TrimSpace(text) || len(text) > 200 || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\uFFFD' }) {
		return errors.New("a key's comment is one line of text, of at most 200 bytes, without spaces at its ends")
	}
	return nil
}

// New makes an Ed25519 key, as ssh-keygen writes it without a passphrase.
func New(comment string) (secret.String, error) {
	if err := CheckComment(comment); err != nil {
		return secret.String{}, err
	}
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return secret.String{}, fmt.Errorf("making an SSH key: %w", err)
	}
	block, err := ssh.MarshalPrivateKey(key, comment)
	if err != nil {
		return secret.String{}, fmt.Errorf("making an SSH key: %w", err)
	}
	return secret.New(string(pem.EncodeToMemory(block))), nil
}

// Public returns the public half of a private key, as the line of a .pub file: its
// type, the key and, where there is one, the comment. Errors quote nothing of the key.
func Public(private string) (string, error) {
	public, err := sshPublic(private)
	if err != nil {
		return "", err
	}
	line := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(public)))
	if comment := sshComment(private); comment != "" && CheckComment(comment) == nil {
		line += " " + comment
	}
	return line, nil
}

// Fingerprint returns a private key's fingerprint as ssh-keygen and sshd show it:
// "SHA256:…".
func Fingerprint(private string) (string, error) {
	public, err := sshPublic(private)
	if err != nil {
		return "", err
	}
	return ssh.FingerprintSHA256(public), nil
}

func sshPublic(private string) (ssh.PublicKey, error) {
	signer, err := ssh.ParsePrivateKey([]byte(private))
	var locked *ssh.PassphraseMissingError
	switch {
	case errors.As(err, &locked) && locked.PublicKey != nil:
		return locked.PublicKey, nil // it stands beside what is locked
	case errors.As(err, &locked):
		return nil, errors.New("the SSH key has a passphrase: keep one without it, which the store seals")
	case err != nil: // its text may quote what is secret
		return nil, errors.New("this is no SSH private key: it begins with \"-----BEGIN OPENSSH PRIVATE KEY-----\"")
	}
	return signer.PublicKey(), nil
}

// sshComment returns the comment of an Ed25519 key in OpenSSH's format (PROTOCOL.key);
// "" where there is none, or it is locked, or the key is of another sort.
func sshComment(private string) string {
	const magic = "openssh-key-v1\x00"
	block, _ := pem.Decode([]byte(private))
	if block == nil || !strings.HasPrefix(string(block.Bytes), magic) {
		return ""
	}
	var file struct {
		Cipher, Derivation, Options string
		Keys                        uint32
		Public, Private             []byte
		Rest                        []byte `ssh:"rest"`
	}
	var key struct {
		Check1, Check2  uint32
		Type            string
		Public, Private []byte
		Comment         string
		Pad             []byte `ssh:"rest"`
	}
	if ssh.Unmarshal(block.Bytes[len(magic):], &file) != nil || file.Cipher != "none" || file.Keys != 1 ||
		ssh.Unmarshal(file.Private, &key) != nil || key.Type != ssh.KeyAlgoED25519 {
		return ""
	}
	return key.Comment
}
