package facts

import (
	"context"
	"encoding/json"
	"os"
)

// JSON gathers the facts of this host for the user who runs this, encoded.
func JSON(ctx context.Context) []byte {
	b, err := json.Marshal(Gather(ctx, os.Getenv("USER")))
	if err != nil {
		panic("facts: " + err.Error())
	}
	return b
}
