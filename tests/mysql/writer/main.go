// Command writer writes to the primary of a cluster while that is worked on, and counts
// what was acknowledged: a row is lost where it was, and isn't there.
//
//	writer SOCKET ACKNOWLEDGED
//
// It writes rows into writes.numbered, each in a transaction of its own, over the server's socket, until
// it is told to end (SIGTERM) or ten minutes have passed. The number of each acknowledged row
// is a line of the file ACKNOWLEDGED. In the end it prints how many there are, the longest time
// between two acknowledgements in milliseconds, and how often it had to connect anew.
package main

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/go-sql-driver/mysql"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	if err := write(ctx, os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "writer:", err)
		os.Exit(1)
	}
}

func write(ctx context.Context, socket, file string) error {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	defer f.Close()
	acknowledged := bufio.NewWriter(f)
	cfg := mysql.NewConfig()
	cfg.Net, cfg.Addr, cfg.User = "unix", socket, "root"
	cfg.Logger = &mysql.NopLogger{}
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		return err
	}
	db := sql.OpenDB(connector)
	defer db.Close()
	db.SetMaxOpenConns(1)
	for _, statement := range []string{
		"CREATE DATABASE IF NOT EXISTS writes",
		"CREATE TABLE IF NOT EXISTS writes.numbered (id BIGINT NOT NULL PRIMARY KEY, text VARCHAR(250) NOT NULL) ENGINE=InnoDB",
	} {
		if _, err := db.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	var id, count, failed int64
	if err := db.QueryRowContext(ctx, "SELECT COALESCE(MAX(id), 0) FROM writes.numbered").Scan(&id); err != nil {
		return err
	}
	var longest time.Duration
	last := time.Now()
	for ctx.Err() == nil {
		id++
		// Told to end, it still waits for the answer: a row is there or isn't.
		_, err := db.Exec("INSERT INTO writes.numbered VALUES (?, ?)", id, strings.Repeat(fmt.Sprint(id, " "), 20))
		if err != nil {
			failed++
			if failed > 1000 {
				return err
			}
			select {
			case <-time.After(50 * time.Millisecond):
			case <-ctx.Done():
			}
			continue
		}
		count++
		longest, last = max(longest, time.Since(last)), time.Now()
		fmt.Fprintln(acknowledged, id)
		select { // some hundred rows a second: it is there, and leaves the machine to others
		case <-time.After(3 * time.Millisecond):
		case <-ctx.Done():
		}
	}
	fmt.Println(count, longest.Milliseconds(), failed)
	return errors.Join(acknowledged.Flush(), f.Sync())
}
