// Command contact is the remote with the MySQL client linked in, too, that kinds to come
// need: what it weighs is measured against what a first contact may send. It is a module
// of its own, so that muster's doesn't name that client yet.
package main

import (
	"context"
	"database/sql"
	"fmt"
	"os"

	_ "github.com/go-sql-driver/mysql" // the driver

	"muster/host/facts"
	"muster/internal/remote"
	"muster/modules/all"
)

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// run is what the linker has to keep: the remote, and what kinds would call.
func run(ctx context.Context) error {
	sum, err := remote.OwnSum()
	if err != nil {
		return err
	}
	db, err := sql.Open("mysql", "root@unix(/run/mysqld/mysqld.sock)/")
	if err != nil {
		return err
	}
	defer db.Close()
	rows, err := db.QueryContext(ctx, "SELECT 1")
	if err != nil {
		return err
	}
	defer rows.Close()
	return remote.Serve(ctx, os.Stdin, os.Stdout, remote.Options{Kinds: all.Registry(), Facts: facts.JSON, FactKeys: facts.Keys(), Sum: sum})
}
