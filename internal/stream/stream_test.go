package stream

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"muster/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// ends are both ends of one stream on the loopback.
type ends struct {
	sent     chan error
	receiver net.Conn
}

// connect has send write to a receiver.
func connect(t *testing.T, send func(ctx context.Context, w io.Writer) error) *ends {
	t.Helper()
	mine, theirs := keys(t)
	l, err := Listen(t.Context(), "127.0.0.1", 0, mine)
	if err != nil {
		t.Fatal(err)
	}
	e := &ends{sent: make(chan error, 1)}
	go func() {
		conn, err := l.Accept(t.Context())
		if err == nil {
			err = Send(t.Context(), conn, send)
			_ = conn.Close()
		}
		e.sent <- err
	}()
	if e.receiver, err = Dial(t.Context(), "127.0.0.1", l.Port(), theirs); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.receiver.Close() })
	return e
}

func keys(t *testing.T) (sender, receiver *wire.Keys) {
	t.Helper()
	a, b, err := NewKeys()
	if err != nil {
		t.Fatal(err)
	}
	return a, b
}

func TestStreamArrivesWhole(t *testing.T) {
	data := make([]byte, 3<<20+17)
	_, _ = rand.Read(data)
	e := connect(t, func(_ context.Context, w io.Writer) error {
		_, err := io.Copy(w, bytes.NewReader(data))
		return err
	})
	got, err := io.ReadAll(NewReader(e.receiver, "db1"))
	if err != nil || !bytes.Equal(got, data) {
		t.Errorf("%d bytes of %d arrived, and %v", len(got), len(data), err)
	}
	if err := <-e.sent; err != nil {
		t.Error(err)
	}
}

func TestSendersErrorReachesTheReader(t *testing.T) {
	e := connect(t, func(_ context.Context, w io.Writer) error {
		_, _ = w.Write([]byte("half"))
		return errors.New("the disk is gone")
	})
	got, err := io.ReadAll(NewReader(e.receiver, "db1"))
	if string(got) != "half" || err == nil || err.Error() != "db1: the disk is gone" {
		t.Errorf("%q, %v", got, err)
	}
	if err := <-e.sent; err == nil || err.Error() != "the disk is gone" {
		t.Error(err)
	}
}

// A program that ends well on a stream that was cut at one of its own boundaries is the
// reason for the verdict: no cut may read as an end.
func TestStreamThatIsCutAnywhereIsAnError(t *testing.T) {
	var whole bytes.Buffer
	err := Send(t.Context(), struct{ io.Writer }{&whole}, func(_ context.Context, w io.Writer) error {
		for range 3 {
			if _, err := w.Write([]byte("chunk")); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for n := range whole.Len() {
		if _, err := io.ReadAll(NewReader(bytes.NewReader(whole.Bytes()[:n]), "db1")); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("cut at byte %d of %d, it ends with %v", n, whole.Len(), err)
		}
	}
	if got, err := io.ReadAll(NewReader(bytes.NewReader(whole.Bytes()), "db1")); err != nil || string(got) != "chunkchunkchunk" {
		t.Errorf("whole, it is %q, %v", got, err)
	}
}

func TestStrangersAreTurnedAway(t *testing.T) {
	mine, theirs := keys(t)
	l, err := Listen(t.Context(), "127.0.0.1", 0, mine)
	if err != nil {
		t.Fatal(err)
	}
	at := l.l.Addr().String()
	came := make(chan error, 1)
	go func() {
		conn, err := l.Accept(t.Context())
		if err == nil {
			err = Send(t.Context(), conn, func(_ context.Context, w io.Writer) error {
				_, err := w.Write([]byte("secret"))
				return err
			})
			_ = conn.Close()
		}
		came <- err
	}()
	silent, err := net.Dial("tcp", at) // who says nothing holds nobody up
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	loud, err := net.Dial("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	defer loud.Close()
	_, _ = fmt.Fprint(loud, strings.Repeat("GET / HTTP/1.1\r\n", 100))
	_, other := keys(t)
	other.Peer = mine.Cert // it knows the sender, and isn't known to it
	if conn, err := Dial(t.Context(), "127.0.0.1", l.Port(), other); err == nil {
		if got, err := io.ReadAll(conn); len(got) > 0 || err == nil {
			t.Errorf("a stranger reads %q, %v", got, err)
		}
		_ = conn.Close()
	}
	_, lost := keys(t) // whose sender this isn't
	if _, err := Dial(t.Context(), "127.0.0.1", l.Port(), lost); !errors.Is(err, errStranger) {
		t.Errorf("a receiver takes another sender: %v", err)
	}
	conn, err := Dial(t.Context(), "127.0.0.1", l.Port(), theirs)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if got, err := io.ReadAll(NewReader(conn, "db1")); err != nil || string(got) != "secret" {
		t.Errorf("the receiver reads %q, %v", got, err)
	}
	if err := <-came; err != nil {
		t.Error(err)
	}
}

func TestListeningEndsWhereNobodyComes(t *testing.T) {
	mine, _ := keys(t)
	l, err := Listen(t.Context(), "127.0.0.1", 0, mine)
	if err != nil {
		t.Fatal(err)
	}
	l.come = 50 * time.Millisecond
	if _, err := l.Accept(t.Context()); err == nil || !strings.Contains(err.Error(), "didn't come") {
		t.Error(err)
	}
	if _, err := net.Dial("tcp", l.l.Addr().String()); err == nil {
		t.Error("it still listens")
	}
}

func TestSenderHearsThatTheReceiverIsGone(t *testing.T) {
	sending := make(chan struct{})
	e := connect(t, func(ctx context.Context, _ io.Writer) error {
		close(sending)
		<-ctx.Done() // it thinks, and writes nothing
		return nil
	})
	<-sending
	_ = e.receiver.Close()
	if err := <-e.sent; !errors.Is(err, ErrGone) {
		t.Error(err)
	}
}

func TestReceiverThatTakesNothingIsGivenUp(t *testing.T) {
	t.Parallel()
	ended := make(chan struct{})
	e := connect(t, func(ctx context.Context, w io.Writer) error {
		defer close(ended)
		for {
			if _, err := w.Write(make([]byte, 1<<20)); err != nil {
				<-ctx.Done() // fails with the writing
				return err
			}
		}
	})
	if err := <-e.sent; !errors.Is(err, ErrStalled) {
		t.Error(err)
	}
	<-ended
	if _, err := io.Copy(io.Discard, NewReader(e.receiver, "db1")); err == nil {
		t.Error("its end reads as that of a whole stream")
	}
}

// A receiver that is slow takes a little at a time: half of what the kernel keeps for it, since it
// tells the sender of no less than some packets, which are large on one machine.
func TestReceiverThatIsSlowIsWaitedFor(t *testing.T) {
	t.Parallel()
	const size = 128 << 20 // more than the kernel keeps
	e := connect(t, func(_ context.Context, w io.Writer) error {
		_, err := w.Write(make([]byte, size))
		return err
	})
	var total int64
	r := NewReader(e.receiver, "db1")
	for total < size/2 { // at first it is fast, and the kernel's buffers grow
		n, err := io.CopyN(io.Discard, r, 1<<20)
		if total += n; err != nil {
			t.Fatal(err)
		}
	}
	pace := time.NewTicker(wire.Stall / 5) // of a slow receiver
	defer pace.Stop()
	for range 10 {
		<-pace.C
		n, err := io.CopyN(io.Discard, r, receiveBuffer/2)
		total += n
		if err != nil {
			t.Fatalf("after %d bytes: %v", total, err)
		}
	}
	n, err := io.Copy(io.Discard, r)
	if total += n; err != nil || total != size {
		t.Errorf("%d of %d bytes, %v", total, size, err)
	}
	if err := <-e.sent; err != nil {
		t.Error(err)
	}
}

func FuzzReader(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x02hi\x00\x00\x00\x00\x00\x00\x00\x00"))
	f.Add([]byte("\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, data []byte) {
		got, _ := io.ReadAll(NewReader(bytes.NewReader(data), "db1"))
		if len(got) > len(data) {
			t.Errorf("%d bytes of %d", len(got), len(data))
		}
	})
}
