package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"

	"muster/host"
	"muster/modules"
	"muster/secret"
)

func TestMessagesArriveAsTheyWereSent(t *testing.T) {
	var buf bytes.Buffer
	c := NewConn(&buf, &buf)
	sent := &Message{Task: &Task{ID: "0/task.file.a", Kind: "file", Args: map[string]any{
		"path": "/etc/a", "mode": nil, "list": []any{"x", int64(3), true, 1.5}, "map": map[string]any{"k": "v"},
		"content": host.ContentOf([]byte("hello"), true), "unknown": modules.UnknownValue{},
		"secret": secret.New("hunter2"), "env": map[string]any{"k": []any{secret.New("hunter3")}},
		"password": modules.Versions{Use: secret.New("a"), Valid: []secret.String{secret.New("b"), secret.New("a")}},
	}, Others: []Args{{"secret": secret.New("hunter4")}}, When: &modules.Condition{Not: &modules.Condition{Changed: "b"}}}}
	if err := c.Send(sent); err != nil {
		t.Fatal(err)
	}
	got, err := c.Receive()
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(sent, got) {
		t.Errorf("sent %#v\n got %#v", sent.Task, got.Task)
	}
	if _, err := c.Receive(); !errors.Is(err, io.EOF) {
		t.Errorf("at the end: %v", err)
	}
	if text := fmt.Sprintf("%v %+v", got.Task.Args, got.Task.Others); strings.Contains(text, "hunter") {
		t.Errorf("printed, they show %s", text)
	}
}

// frame is data with its length before it.
func frame(data []byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(data))), data...)
}

func TestMalformedStreamsAreRefused(t *testing.T) {
	for name, stream := range map[string][]byte{
		"a frame of nothing":         frame(nil),
		"a frame too large":          {0xff, 0xff, 0xff, 0xff},
		"a frame cut short":          {0, 0, 0, 9, 1},
		"no message in it":           frame([]byte{0xa0}),
		"noise":                      frame([]byte("\x1b[31mwelcome")),
		"two messages in one frame":  frame([]byte{0xa2, 0x05, 0xa0, 0x06, 0xa0}),
		"a message that isn't known": frame([]byte{0xa1, 0x18, 0x63, 0xa0}),
	} {
		if _, err := NewConn(bytes.NewReader(stream), io.Discard).Receive(); !errors.Is(err, ErrFrame) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// endless has as many bytes as anybody reads, and counts them.
type endless struct {
	head []byte
	read int
}

func (e *endless) Read(p []byte) (int, error) {
	n := copy(p, e.head)
	e.head = e.head[n:]
	clear(p[n:])
	e.read += len(p)
	return len(p), nil
}

// Whoever says that a message is larger than any is doesn't get the memory for it.
func TestAMessageThatIsTooLargeIsNotRead(t *testing.T) {
	from := &endless{head: binary.BigEndian.AppendUint32(nil, MaxFrame+1)}
	if _, err := NewConn(from, io.Discard).Receive(); !errors.Is(err, ErrFrame) || from.read > readAhead {
		t.Errorf("%v, with %d bytes read", err, from.read)
	}
}

// What the other side wouldn't take isn't sent, and what comes after it is.
func TestAMessageThatIsTooLargeIsNotSent(t *testing.T) {
	var buf bytes.Buffer
	c := NewConn(&buf, &buf)
	for _, large := range []bool{true, false} {
		text := "as it is"
		if large {
			text = strings.Repeat("x", MaxFrame)
		}
		if err := c.Send(&Message{Fault: &Fault{Error: text}}); errors.Is(err, ErrTooLarge) != large {
			t.Fatalf("it ended with %v", err)
		}
	}
	if m, err := c.Receive(); err != nil || m.Fault == nil || m.Fault.Error != "as it is" {
		t.Errorf("%+v, %v", m, err)
	}
}

func FuzzReceive(f *testing.F) {
	var buf bytes.Buffer
	c := NewConn(&buf, &buf)
	_ = c.Send(&Message{Done: &Done{ID: "a", Status: Changed, Changes: []host.Description{{Action: host.Update, Target: "/x"}}}})
	f.Add(buf.Bytes())
	f.Add(frame([]byte{0xa1, 0x05, 0xa0}))
	f.Fuzz(func(t *testing.T, data []byte) {
		c := NewConn(bytes.NewReader(data), io.Discard)
		for {
			if _, err := c.Receive(); err != nil {
				return
			}
		}
	})
}
