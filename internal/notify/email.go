package notify

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/wneessen/go-mail"

	"muster/internal/view"
)

// email is a receiver that is told by SMTP.
type email struct {
	server, from       string
	to                 []string
	username, password string
	mode               string // "starttls", which is also "", "implicit" or "none"
	tls                *tls.Config
}

// send sends one message, and gives up when ctx ends. Without TLS no password is sent.
func (e *email) send(ctx context.Context, m *Message) error {
	msg, err := e.message(m)
	if err != nil {
		return err
	}
	client, err := e.client(ctx)
	if err != nil {
		return err
	}
	if err := client.DialAndSendWithContext(ctx, msg); err != nil {
		return &attemptError{err: fmt.Errorf("%s: %w", e.server, err), again: temporary(err)}
	}
	return nil
}

// temporary reports whether it can help to try again: whatever a server refuses for good
// it answers with a code from 500 on, and a library's own error is one of the configuration.
func temporary(err error) bool {
	var sent *mail.SendError
	if errors.As(err, &sent) {
		return sent.IsTemp() || sent.ErrorCode() == 0
	}
	var network net.Error
	return errors.As(err, &network) || strings.Contains(err.Error(), "EOF")
}

func (e *email) client(ctx context.Context) (*mail.Client, error) {
	host, port, err := net.SplitHostPort(e.server)
	if err != nil {
		return nil, err
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		return nil, fmt.Errorf("the port %q is no number", port)
	}
	config := e.tls.Clone()
	config.ServerName = host
	left := 30 * time.Second
	if until, ok := ctx.Deadline(); ok {
		left = max(time.Until(until), time.Millisecond)
	}
	options := []mail.Option{mail.WithPort(number), mail.WithTLSConfig(config), mail.WithTimeout(left), mail.WithHELO(helo())}
	if e.mode != "implicit" { // else the library dials itself, and ends by its timeout
		options = append(options, mail.WithDialContextFunc(closingWith(ctx)))
	}
	switch e.mode {
	case "implicit":
		options = append(options, mail.WithSSL())
	case "none":
		options = append(options, mail.WithTLSPolicy(mail.NoTLS))
	default:
		options = append(options, mail.WithTLSPolicy(mail.TLSMandatory))
	}
	if e.username != "" {
		options = append(options, mail.WithSMTPAuth(mail.SMTPAuthAutoDiscover), mail.WithUsername(e.username), mail.WithPassword(e.password))
	}
	return mail.NewClient(host, options...)
}

// closingWith dials connections that are closed when ctx ends, whatever they wait for.
func closingWith(ctx context.Context) mail.DialContextFunc {
	return func(dialing context.Context, network, address string) (net.Conn, error) {
		c, err := (&net.Dialer{}).DialContext(dialing, network, address)
		if err == nil {
			context.AfterFunc(ctx, func() { _ = c.Close() })
		}
		return c, err
	}
}

// helo is the name by which this machine greets.
func helo() string {
	if name, err := os.Hostname(); err == nil && name != "" {
		return name
	}
	return "localhost"
}

func (e *email) message(m *Message) (*mail.Msg, error) {
	msg := mail.NewMsg()
	if err := msg.From(e.from); err != nil {
		return nil, fmt.Errorf("from: %w", err)
	}
	if err := msg.To(e.to...); err != nil {
		return nil, fmt.Errorf("to: %w", err)
	}
	msg.Subject("muster: " + m.summary() + " in " + view.CleanLine(m.Project))
	msg.SetDateWithValue(m.At)
	_, domain, _ := strings.Cut(e.from, "@")
	msg.SetMessageIDWithValue(m.ID + "@" + strings.Trim(domain, "> "))
	msg.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834: nobody on holiday answers it
	var b strings.Builder
	b.WriteString(m.summary() + "\n\n")
	for i := range m.Changes {
		b.WriteString("- " + plain(m.Changes[i].parts()) + "\n")
	}
	if text := m.leftOut(); text != "" {
		b.WriteString(text + "\n")
	}
	b.WriteString("\n" + m.standing() + "\n")
	if m.Check != "" {
		b.WriteString("Check " + m.Check + ", made by " + view.CleanLine(m.By) + ".\n")
	}
	msg.SetBodyString(mail.TypeTextPlain, b.String())
	return msg, nil
}
