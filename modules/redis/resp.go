package redis

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

// Redis's protocol, RESP2 (https://redis.io/docs/latest/develop/reference/protocol-spec):
// a request is an array of strings, and an answer begins with a letter for its type.

const (
	bulkLimit  = 8 << 20 // bytes of one string
	itemsLimit = 1 << 16 // of one array
	depthLimit = 8       // arrays in arrays
	lineLimit  = 64 << 10
)

// said is an error that Redis has answered with. It begins with a word that tells its kind:
// "NOAUTH Authentication required."
type said string

func (s said) Error() string { return string(s) }

// kind is the word that it begins with.
func (s said) kind() string {
	word, _, _ := strings.Cut(string(s), " ")
	return word
}

// isSaid reports whether Redis has answered with an error of one of these kinds.
func isSaid(err error, kinds ...string) bool {
	var s said
	if !errors.As(err, &s) {
		return false
	}
	for _, k := range kinds {
		if s.kind() == k {
			return true
		}
	}
	return false
}

// conn is a connection to a server.
type conn struct {
	net.Conn
	r *bufio.Reader
}

func newConn(c net.Conn) *conn { return &conn{c, bufio.NewReader(c)} }

// answerTime is how long the server may take to answer.
const answerTime = 30 * time.Second

// do asks, and returns the answer: a string, an int64, a []any, or nil.
func (c *conn) do(ctx context.Context, args ...string) (any, error) {
	until := time.Now().Add(answerTime)
	if d, ok := ctx.Deadline(); ok && d.Before(until) {
		until = d
	}
	if err := c.SetDeadline(until); err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Now()) })
	defer stop()
	_, err := c.Write(request(args))
	var answer any
	if err == nil {
		answer, err = readReply(c.r, 0)
	}
	switch {
	case err != nil && ctx.Err() != nil:
		err = ctx.Err()
	case errors.Is(err, os.ErrDeadlineExceeded):
		err = fmt.Errorf("the server hasn't answered: %w", context.DeadlineExceeded)
	}
	return answer, err
}

// request is what is sent.
func request(args []string) []byte {
	b := fmt.Appendf(nil, "*%d\r\n", len(args))
	for _, a := range args {
		b = fmt.Appendf(b, "$%d\r\n%s\r\n", len(a), a)
	}
	return b
}

// text asks for a string.
func (c *conn) text(ctx context.Context, args ...string) (string, error) {
	answer, err := c.do(ctx, args...)
	if err != nil {
		return "", err
	}
	s, ok := answer.(string)
	if !ok {
		return "", fmt.Errorf("the server answers %s with %T, not a text", args[0], answer)
	}
	return s, nil
}

// list asks for strings.
func (c *conn) list(ctx context.Context, args ...string) ([]string, error) {
	answer, err := c.do(ctx, args...)
	if err != nil {
		return nil, err
	}
	items, ok := answer.([]any)
	if !ok {
		return nil, fmt.Errorf("the server answers %s with %T, not a list", args[0], answer)
	}
	var out []string
	for _, i := range items {
		s, ok := i.(string)
		if !ok {
			return nil, fmt.Errorf("the server answers %s with a list of %T", args[0], i)
		}
		out = append(out, s)
	}
	return out, nil
}

// readReply reads one answer.
func readReply(r *bufio.Reader, depth int) (any, error) {
	line, err := readLine(r)
	if err != nil {
		return nil, err
	}
	if line == "" {
		return nil, errors.New("the server answers with an empty line")
	}
	rest := line[1:]
	switch line[0] {
	case '+':
		return rest, nil
	case '-':
		return nil, said(rest)
	case ':':
		n, err := strconv.ParseInt(rest, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("the server answers with the number %q", rest)
		}
		return n, nil
	case '$':
		n, err := count(rest, bulkLimit)
		if err != nil || n < 0 {
			return nil, err
		}
		b := make([]byte, n+2)
		if _, err := io.ReadFull(r, b); err != nil {
			return nil, err
		}
		if string(b[n:]) != "\r\n" {
			return nil, errors.New("the server answers with a text that is longer than it says")
		}
		return string(b[:n]), nil
	case '*':
		n, err := count(rest, itemsLimit)
		if err != nil || n < 0 {
			return nil, err
		}
		if depth == depthLimit {
			return nil, errors.New("the server answers with lists in lists, too deep")
		}
		list := []any{}
		for range n {
			item, err := readReply(r, depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, item)
		}
		return list, nil
	}
	return nil, fmt.Errorf("what answers isn't Redis: it begins with %q", line[:1])
}

// count reads a size; -1 stands for nothing.
func count(text string, most int) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < -1 || n > most {
		return 0, fmt.Errorf("the server answers with the size %q, and %d is the most that is read", text, most)
	}
	return n, nil
}

// readLine reads up to CR LF.
func readLine(r *bufio.Reader) (string, error) {
	var b []byte
	for {
		part, err := r.ReadSlice('\n')
		b = append(b, part...)
		switch {
		case len(b) > lineLimit:
			return "", errors.New("the server answers with a line that doesn't end")
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case errors.Is(err, io.EOF):
			return "", io.ErrUnexpectedEOF
		case err != nil:
			return "", err
		}
		line, ok := strings.CutSuffix(string(b), "\r\n")
		if !ok {
			return "", errors.New("what answers isn't Redis: its line ends with LF alone")
		}
		return line, nil
	}
}
