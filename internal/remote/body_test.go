package remote

import "testing"

func TestOwnProgramIsAskedForOfNobody(t *testing.T) {
	own, err := OwnSum()
	if err != nil {
		t.Fatal(err)
	}
	s := &server{o: Options{Sum: own}} // no connection: whoever is asked for it would be missed
	r, err := s.ask(t.Context(), own)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if sum, err := sumOf(r); err != nil || sum != own {
		t.Errorf("it gives %s, %v", sum, err)
	}
}
