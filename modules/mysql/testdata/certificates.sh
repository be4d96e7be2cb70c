# Certificates for cases: a CA in /etc/mysql/tls, and what it has signed.
#   ca            makes the CA, once
#   signed NAME   makes, once, NAME.pem and NAME.key, readable by the server
#   shown         the subject of the certificate that the server shows on its port
tls=/etc/mysql/tls
ca() {
	mkdir -p $tls
	[ -f $tls/ca.pem ] || openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj "/CN=ca" -keyout $tls/ca.key -out $tls/ca.pem 2>/dev/null
}
signed() {
	[ ! -f "$tls/$1.pem" ] || return 0
	openssl req -newkey rsa:2048 -nodes -subj "/CN=$1" -keyout "$tls/$1.key" -out "$tls/$1.csr" 2>/dev/null
	openssl x509 -req -in "$tls/$1.csr" -CA $tls/ca.pem -CAkey $tls/ca.key -CAcreateserial -days 20 -out "$tls/$1.pem" 2>/dev/null
	chown mysql "$tls/$1.key"
}
shown() { openssl s_client -starttls mysql -connect 127.0.0.1:3306 </dev/null 2>/dev/null | openssl x509 -noout -subject | sed 's/.*= *//'; }
