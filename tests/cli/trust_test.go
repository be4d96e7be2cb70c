package cli

import (
	"crypto/ed25519"
	"crypto/rand"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/crypto/ssh"

	"muster/transport/transporttest"
)

// cmdSSHD starts a server for each NAME: sshd NAME…. Its port is $NAME_PORT, the fingerprint of its
// key $NAME_KEY, in which characters that mean something in patterns are escaped.
func cmdSSHD(ts *testscript.TestScript, _ bool, args []string) {
	for _, name := range args {
		_, private, err := ed25519.GenerateKey(rand.Reader)
		ts.Check(err)
		signer, err := ssh.NewSignerFromKey(private)
		ts.Check(err)
		server, err := transporttest.Start(transporttest.Options{HostKeys: []ssh.Signer{signer}, Home: ts.MkAbs(".")})
		ts.Check(err)
		ts.Defer(server.Close)
		ts.Setenv(name+"_PORT", server.Addr()[strings.LastIndex(server.Addr(), ":")+1:])
		ts.Setenv(name+"_KEY", strings.ReplaceAll(ssh.FingerprintSHA256(signer.PublicKey()), "+", `\+`))
	}
}
