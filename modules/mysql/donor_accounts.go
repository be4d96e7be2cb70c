package mysql

import (
	"context"
	"slices"
	"strings"
)

// ownAccounts are accounts that each server has for itself: a replica keeps its own.
var ownAccounts = []string{"root", "mysql", "mariadb.sys", "mysql.sys", "mysql.session", "mysql.infoschema", "debian-sys-maint"}

// publicRole is MariaDB's role that everybody has.
const publicRole = "PUBLIC"

// replicated reports whether a replica has an account as its primary does. muster's own
// way in, and clones' leftovers, are each server's own.
func (s *server) replicated(a account) bool {
	if strings.HasPrefix(a.name, clonePrefix) || strings.EqualFold(a.name+"@"+a.host, s.me) {
		return false
	}
	return !strings.EqualFold(a.host, "localhost") || !slices.Contains(ownAccounts, a.name)
}

// accountStatements are statements that make all accounts with all that they may, in
// place of those of these names that are there. First all accounts, then what is granted:
// roles are granted, too.
func (s *server) accountStatements(ctx context.Context) ([]string, error) {
	list, err := s.readAccounts(ctx, "")
	if err != nil {
		return nil, err
	}
	if s.flavor == mysqlOwn { // salts have bytes that no text has
		if err := s.do(ctx, "SET SESSION print_identified_with_as_hex = ON"); err != nil {
			return nil, err
		}
	}
	var made, granted []string
	for _, a := range list {
		if !s.replicated(a) {
			continue
		}
		name := accountSQL(a.name, a.host)
		if a.role {
			name = literal(a.name)
		}
		switch {
		case a.role && a.name == publicRole: // is there, and can't be made
		case a.role:
			made = append(made, "CREATE OR REPLACE ROLE "+name+";")
		default:
			row, err := s.rows(ctx, "SHOW CREATE USER "+name)
			if err != nil {
				return nil, err
			}
			for _, r := range row {
				text := r[len(r)-1]
				if rest, ok := strings.CutPrefix(text, "CREATE USER "); ok && s.flavor == mariadb {
					text = "CREATE OR REPLACE USER " + rest
				} else if ok {
					made = append(made, "DROP USER IF EXISTS "+name+";")
				}
				made = append(made, text+";")
			}
		}
		rows, err := s.rows(ctx, "SHOW GRANTS FOR "+name)
		if err != nil {
			return nil, err
		}
		for _, r := range rows {
			granted = append(granted, r[0]+";")
		}
	}
	return append(made, granted...), nil
}
