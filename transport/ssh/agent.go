package ssh

import (
	"fmt"
	"io"
	"net"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

// The agent's deadlines. Listing is immediate; a signature may wait for a
// touch or a confirmation.
const (
	agentListTimeout = 5 * time.Second
	agentSignTimeout = 25 * time.Second
)

// agentKey is a key in an SSH agent. Each signature has a connection of its own,
// with a deadline, so that one that hangs holds up nobody else.
type agentKey struct {
	socket string
	public ssh.PublicKey
}

// askAgent calls ask with a connection to the agent that ends after timeout.
func askAgent(socket string, timeout time.Duration, ask func(agent.ExtendedAgent) error) error {
	conn, err := net.DialTimeout("unix", socket, timeout)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(timeout)); err != nil {
		return err
	}
	return ask(agent.NewClient(conn))
}

// agentKeys lists what the agent holds.
func agentKeys(socket string) ([]ssh.Signer, error) {
	var signers []ssh.Signer
	err := askAgent(socket, agentListTimeout, func(a agent.ExtendedAgent) error {
		keys, err := a.List()
		for _, k := range keys {
			public, err := ssh.ParsePublicKey(k.Blob)
			if err != nil {
				continue // a type that x/crypto doesn't know
			}
			signers = append(signers, &agentKey{socket: socket, public: public})
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("the SSH agent at %s doesn't answer (%w): its keys are not used", socket, err)
	}
	return signers, nil
}

// PublicKey implements ssh.Signer.
func (k *agentKey) PublicKey() ssh.PublicKey { return k.public }

// Sign implements ssh.Signer.
func (k *agentKey) Sign(_ io.Reader, data []byte) (*ssh.Signature, error) {
	return k.sign(data, 0)
}

// SignWithAlgorithm implements ssh.AlgorithmSigner: RSA keys sign by SHA-2.
func (k *agentKey) SignWithAlgorithm(_ io.Reader, data []byte, algorithm string) (*ssh.Signature, error) {
	switch algorithm {
	case ssh.KeyAlgoRSASHA256, ssh.CertAlgoRSASHA256v01:
		return k.sign(data, agent.SignatureFlagRsaSha256)
	case ssh.KeyAlgoRSASHA512, ssh.CertAlgoRSASHA512v01:
		return k.sign(data, agent.SignatureFlagRsaSha512)
	}
	return k.sign(data, 0)
}

func (k *agentKey) sign(data []byte, flags agent.SignatureFlags) (sig *ssh.Signature, err error) {
	err = askAgent(k.socket, agentSignTimeout, func(a agent.ExtendedAgent) error {
		sig, err = a.SignWithFlags(k.public, data, flags)
		return err
	})
	return sig, err
}
