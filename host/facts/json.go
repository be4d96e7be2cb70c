package facts

import (
	"context"
	"encoding/json"
	"os"
)

// JSON gathers the facts of this host for the user who logged in, encoded.
func JSON(ctx context.Context) []byte {
	login := os.Getenv("SUDO_USER") // who logged in, where sudo made us another
	if login == "" {
		login = os.Getenv("USER")
	}
	b, err := json.Marshal(Gather(ctx, login))
	if err != nil {
		panic("facts: " + err.Error())
	}
	return b
}
