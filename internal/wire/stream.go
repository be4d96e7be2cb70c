package wire

import "time"

// A task may need other hosts while its changes are made, its companions: one of them
// sends it what it asks for. The receiver asks the controller (Receive), which has the
// companion's host send (Send, Listening) and tells the receiver where (Dial). What is
// sent goes from host to host, or where the task wants that, through the controller
// (Part, Took). Numbers of streams are the controller's on the sender's connection, and
// the receiver's own on the receiver's.

// Stall is how long a receiver may take nothing of what it is sent: then it is given up.
// What is sent may hold up others on the sender's host meanwhile, such as a primary's
// commits in a backup's last phase.
const Stall = 5 * time.Second

// How long a sender waits for the receiver to come, and a receiver for the connection.
const (
	ComeTime = 20 * time.Second
	DialTime = 10 * time.Second
)

// MaxSends is how many streams a host sends at a time.
const MaxSends = 2

// Window is how many bytes of a relayed stream may be under way to the receiver.
const Window = 1 << 20

// Accompany tells a task, at its turn, what its companions have told anew.
type Accompany struct {
	ID         string            // of the task
	Companions map[string][]byte // as in Task
}

// Receive asks for a stream of a companion of the task in hand.
type Receive struct {
	Stream  uint64 // the receiver's number
	ID      string // of the task
	Host    string // the companion's
	Request []byte // JSON
}

// Keys are a side's certificate and key, made for one stream, and the certificate that
// the other side has to show.
type Keys struct {
	Cert, Key []byte // DER, PKCS #8
	Peer      []byte // DER
}

// Send has a companion send.
type Send struct {
	Stream  uint64
	Task    Task // the companion
	Request []byte
	// Address is the sender's in the inventory, Port the one to listen on; 0: any.
	Address string
	Port    int
	Keys    *Keys // nil: it is relayed
}

// Listening answers Send: where the sender can be reached.
type Listening struct {
	Stream uint64
	Port   int
}

// Dial answers Receive: where the sender is, or why nothing can be received. One with an
// error may come later, too, when nothing more can be heard of the sender.
type Dial struct {
	Stream  uint64
	Sender  string // the hosts' names
	Mine    string
	Address string
	Port    int
	Keys    *Keys // nil: it is relayed
	Error   string
}

// Sent says that a sender has ended with a stream, and with which error.
type Sent struct {
	Stream uint64
	Error  string
}

// Hangup ends a stream: the receiver says so to the controller, and that to the sender.
type Hangup struct{ Stream uint64 }

// Part is bytes of a relayed stream.
type Part struct {
	Stream uint64
	Data   []byte
}

// Took says that the receiver has taken bytes of a relayed stream.
type Took struct {
	Stream uint64
	Bytes  int
}
