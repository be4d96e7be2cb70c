package wire

// A task may keep a copy of a file of its host in the project's folder. Which copy that is
// the controller knows from the task: the host names the task, and nothing else.

// BringPart is how many bytes of a new copy are sent at a time.
const BringPart = 1 << 20

// Copy asks what a task's copy is, and answers that. Each Bring is answered by one, too.
type Copy struct {
	N  int    // of the question, or of the part; the answer has it
	ID string // of the task

	// From the controller; see host.Copy.
	Path   string
	Sum    string
	Size   int64
	Data   []byte
	Hidden bool
	Error  string
}

// Bring is a part of what is to replace the copy of a task that is being made. The next one
// is sent when it is answered.
type Bring struct {
	N    int
	ID   string // of the task
	Data []byte
	// Sum is the SHA-256 of the whole, hex, with its last part.
	First, Last bool
	Sum         string
}
