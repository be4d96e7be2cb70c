package mysql

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"

	"muster/host"
)

// storedPassword is the one by which the replica logs in at its source: MariaDB keeps it in a
// file that only the server and root can read, MySQL in a table.
func (r *replica) storedPassword(ctx context.Context, v *host.View) (string, error) {
	if r.Flavor == mysqlOwn {
		return host.Once(v, "mysql replica's password", func() (string, error) {
			return asking(ctx, v, func(s *server) (string, error) {
				rows, err := s.rows(ctx, "SELECT User_password FROM mysql.slave_master_info WHERE Channel_name = ''")
				if err != nil || len(rows) == 0 {
					return "", err
				}
				return rows[0][0], nil
			})
		})
	}
	data, err := v.ReadFile(ctx, r.sourceFile(), 1<<20)
	if err != nil {
		return "", fmt.Errorf("reading the replica's password: %w", err)
	}
	return passwordIn(string(data))
}

// sourceFile is where MariaDB keeps how it is connected; "" for MySQL.
func (r *replica) sourceFile() string {
	if r.Flavor == mysqlOwn {
		return ""
	}
	return path.Join(r.DataDir, "master.info")
}

// passwordIn reads MariaDB's master.info: the number of its lines, then log, position, host,
// user, password, port, …
func passwordIn(info string) (string, error) {
	lines := strings.Split(info, "\n")
	if n, err := strconv.Atoi(lines[0]); err != nil || n < 7 || len(lines) < 7 {
		return "", errors.New("master.info isn't as MariaDB writes it")
	}
	return lines[5], nil
}
