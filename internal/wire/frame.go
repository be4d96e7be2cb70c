package wire

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"reflect"
	"sync"
	"time"

	"github.com/fxamacker/cbor/v2"

	"muster/host"
	"muster/modules"
)

// MaxFrame is the size, in bytes, of the largest message either side takes.
const MaxFrame = 8 << 20

// ErrFrame is a stream that doesn't hold messages as they should be. The
// connection is of no further use.
var ErrFrame = errors.New("malformed message")

// ErrTooLarge is a message that isn't sent, because the other side wouldn't take
// it. The connection is as it was.
var ErrTooLarge = errors.New("the message is too large")

// Conn sends and receives messages over a pair of streams. Send is safe for
// concurrent use, Receive is for one goroutine.
type Conn struct {
	r *bufio.Reader

	mu     sync.Mutex
	w      io.Writer
	queued []byte
	soon   *time.Timer // it will flush; nil: nothing does by itself

	toHost bool // what is received comes from a host; see NewHostConn

	enc cbor.EncMode
	dec cbor.DecMode
}

// NewConn returns the connection that reads r and writes w.
func NewConn(r io.Reader, w io.Writer) *Conn {
	m := modes()
	return &Conn{r: bufio.NewReaderSize(r, readAhead), w: w, enc: m.enc, dec: m.dec}
}

// readAhead is how many bytes are read at a time: some small messages. Large
// ones are read past the buffer.
const readAhead = 1 << 10

type encodings struct {
	enc cbor.EncMode
	dec cbor.DecMode
}

// modes are the encodings, made once: content and unknown values keep their types inside
// arguments through tags of the range that is free for private use.
var modes = sync.OnceValue(func() encodings {
	tags := cbor.NewTagSet()
	opts := cbor.TagOptions{EncTag: cbor.EncTagRequired, DecTag: cbor.DecTagRequired}
	for number, t := range map[uint64]reflect.Type{
		4000: reflect.TypeFor[host.Content](),
		4001: reflect.TypeFor[modules.UnknownValue](),
		4002: reflect.TypeFor[sealed](),
		4003: reflect.TypeFor[sealedVersions](),
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
		UTF8:              cbor.UTF8DecodeInvalid, // text of a host is bytes
		IntDec:            cbor.IntDecConvertSignedOrFail,
		ExtraReturnErrors: cbor.ExtraDecErrorUnknownField,
	}.DecModeWithTags(tags)
	if err != nil {
		panic("wire: " + err.Error())
	}
	return encodings{enc, dec}
})

// Queue sends a message with the next Flush or Send.
func (c *Conn) Queue(m *Message) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.write(m, queueLimit)
}

// Soon sends a message in a moment, together with those that come until then: a
// stream of small ones costs few writes, and none waits for what takes long.
func (c *Conn) Soon(m *Message) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.write(m, soonLimit); err != nil {
		return err
	}
	if len(c.queued) > 0 && c.soon == nil {
		// Where it fails, so does what is sent next.
		c.soon = time.AfterFunc(moment, func() { _ = c.Flush() })
	}
	return nil
}

// Send sends a message and all that are queued.
func (c *Conn) Send(m *Message) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.write(m, queueLimit); err != nil {
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
	if c.soon != nil {
		c.soon.Stop()
		c.soon = nil
	}
	if len(c.queued) == 0 {
		return nil
	}
	_, err := c.w.Write(c.queued)
	c.queued = nil
	return err
}

// write queues a message, and flushes from limit bytes on.
func (c *Conn) write(m *Message, limit int) error {
	data, err := c.enc.Marshal(m)
	if err != nil {
		return fmt.Errorf("encoding a message: %w", err)
	}
	if len(data) > MaxFrame {
		return fmt.Errorf("%w: it has %d bytes, and %d are taken", ErrTooLarge, len(data), MaxFrame)
	}
	var head [4]byte
	binary.BigEndian.PutUint32(head[:], uint32(len(data)))
	c.queued = append(append(c.queued, head[:]...), data...)
	if len(c.queued) < limit {
		return nil
	}
	return c.flush()
}

// queueLimit is how many bytes are queued before they are sent unasked. Soon
// sends less at a time: SSH keeps buffers for the largest piece that came.
const (
	queueLimit = 64 << 10
	soonLimit  = 2 << 10
	moment     = 10 * time.Millisecond
)

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
	if c.toHost {
		m.clean()
	}
	return m, nil
}

// Canonical is a task as it is on the wire: the same bytes for the same task, in each
// process of one muster.
func Canonical(t *Task) ([]byte, error) { return modes().enc.Marshal(t) }
