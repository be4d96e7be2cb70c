// Package mysql has the kinds for databases, accounts and statements of MariaDB and MySQL.
//
// They ask the server on the host through its socket, as root, whom it knows by the
// system's own word (the plugins unix_socket and auth_socket): no password of root's is
// anywhere. One connection tells what all tasks of a host want to know (connect.go).
// MariaDB and MySQL differ in how they keep accounts and take passwords: dialect.go and
// password.go have all of that. What is read and set of an account is in account.go and
// grants.go, and how its password is proved in proof.go.
package mysql

import (
	"muster/host"
	"muster/modules"
)

// Kinds returns the kinds of this package.
func Kinds() []modules.Kind {
	proofs := &proofs{}
	return []modules.Kind{
		{Name: "mysql_server", Output: ServerOutput{}, New: func() modules.Module { return &Server{} },
			Undoes: []host.Change{&LoadServer{}}},
		{Name: "mysql_database", Output: DatabaseOutput{}, New: func() modules.Module { return &Database{} },
			Undoes: []host.Change{&DropDatabase{}, &AlterDatabase{}}},
		{Name: "mysql_user", Expect: expectUsers, New: func() modules.Module { return &User{proofs: proofs} },
			Undoes: []host.Change{&PutUser{}}},
		{Name: "mysql_donor", Companion: true, Output: DonorOutput{}, New: func() modules.Module { return &Donor{} }},
		{Name: "mysql_checksum", Probe: true, Output: ChecksumOutput{}, New: func() modules.Module { return &Checksum{} }},
		{Name: "mysql_checksum_source", Companion: true, New: func() modules.Module { return &ChecksumSource{} }},
		{Name: "mysql_query", Output: QueryOutput{}, New: func() modules.Module { return &Query{} }},
		{Name: "mysql_replication", Output: ReplicationOutput{}, New: func() modules.Module { return &Replication{} },
			Undoes: []host.Change{&SetReplica{}}},
	}
}
