package host

// Revert is a program that takes a live change back: the rules of a firewall, the
// settings of a server. It needs nothing of muster: it may be run by the host alone,
// when muster can't reach it any more.
type Revert struct {
	Argv []string
	// Input is given to it on its standard input. It may hold secrets: only the user
	// who arms it can read where it lies.
	Input []byte
}
