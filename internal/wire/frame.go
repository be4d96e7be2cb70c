package wire

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"reflect"
	"sync"

	"github.com/fxamacker/cbor/v2"

	"muster/host"
	"muster/modules"
)

// MaxFrame is the size, in bytes, of the largest message either side takes.
const MaxFrame = 8 << 20

// ErrFrame is a stream that doesn't hold messages as they should be. The
// connection is of no further use.
var ErrFrame = errors.New("malformed message")

// Conn sends and receives messages over a pair of streams. Send is safe for
// concurrent use, Receive is for one goroutine.
type Conn struct {
	r *bufio.Reader

	mu     sync.Mutex
	w      io.Writer
	queued []byte

	enc cbor.EncMode
	dec cbor.DecMode
}

// NewConn returns the connection that reads r and writes w.
func NewConn(r io.Reader, w io.Writer) *Conn {
	enc, dec := modes()
	return &Conn{r: bufio.NewReaderSize(r, 4<<10), w: w, enc: enc, dec: dec}
}

// modes are the encodings: content and unknown values keep their types inside
// arguments through tags of the range that is free for private use.
func modes() (cbor.EncMode, cbor.DecMode) {
	tags := cbor.NewTagSet()
	opts := cbor.TagOptions{EncTag: cbor.EncTagRequired, DecTag: cbor.DecTagRequired}
	for number, t := range map[uint64]reflect.Type{
		4000: reflect.TypeFor[host.Content](),
		4001: reflect.TypeFor[modules.UnknownValue](),
	} {
		if err := tags.Add(opts, t, number); err != nil {
			panic("wire: " + err.Error())
		}
	}
	enc, err := cbor.CoreDetEncOptions().EncModeWithTags(tags)
	if err != nil {
		panic("wire: " + err.Error())
	}
	dec, err := cbor.DecOptions{
		DefaultMapType:    reflect.TypeFor[map[string]any](),
		MaxNestedLevels:   64,
		MaxArrayElements:  1 << 20,
		MaxMapPairs:       1 << 20,
		DupMapKey:         cbor.DupMapKeyEnforcedAPF,
		IndefLength:       cbor.IndefLengthForbidden,
		UTF8:              cbor.UTF8RejectInvalid,
		IntDec:            cbor.IntDecConvertSignedOrFail,
		ExtraReturnErrors: cbor.ExtraDecErrorUnknownField,
	}.DecModeWithTags(tags)
	if err != nil {
		panic("wire: " + err.Error())
	}
	return enc, dec
}

// Queue sends a message with the next Flush or Send.
func (c *Conn) Queue(m *Message) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.write(m)
}

// Send sends a message and all that are queued.
func (c *Conn) Send(m *Message) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.write(m); err != nil {
		return err
	}
	return c.flush()
}

// Flush sends what is queued.
func (c *Conn) Flush() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.flush()
}

// flush writes what is queued and gives its memory back: a controller has many
// connections, of which few are written to at a time.
func (c *Conn) flush() error {
	if len(c.queued) == 0 {
		return nil
	}
	_, err := c.w.Write(c.queued)
	c.queued = nil
	return err
}

func (c *Conn) write(m *Message) error {
	data, err := c.enc.Marshal(m)
	if err != nil {
		return fmt.Errorf("encoding a message: %w", err)
	}
	if len(data) > MaxFrame {
		return fmt.Errorf("a message of %d bytes is larger than the %d that are taken", len(data), MaxFrame)
	}
	var head [4]byte
	binary.BigEndian.PutUint32(head[:], uint32(len(data)))
	c.queued = append(append(c.queued, head[:]...), data...)
	if len(c.queued) < queueLimit {
		return nil
	}
	return c.flush()
}

// queueLimit is how many bytes are queued before they are sent unasked.
const queueLimit = 64 << 10

// Receive returns the next message; io.EOF where the stream ends between two.
func (c *Conn) Receive() (*Message, error) {
	var head [4]byte
	if _, err := io.ReadFull(c.r, head[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n == 0 || n > MaxFrame {
		return nil, fmt.Errorf("%w: a frame of %d bytes", ErrFrame, n)
	}
	data := make([]byte, n)
	if _, err := io.ReadFull(c.r, data); err != nil {
		return nil, fmt.Errorf("%w: cut short: %w", ErrFrame, err)
	}
	m := new(Message)
	if err := c.dec.Unmarshal(data, m); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFrame, err)
	}
	set := 0
	v := reflect.ValueOf(m).Elem()
	for i := range v.NumField() {
		if !v.Field(i).IsNil() {
			set++
		}
	}
	if set != 1 {
		return nil, fmt.Errorf("%w: %d messages in one frame", ErrFrame, set)
	}
	return m, nil
}
