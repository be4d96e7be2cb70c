#!/bin/sh
# Makes the handshake that rsyslog makes, and says which certificate is wrong and why.
# Arguments: the receiver, its port, the name that its certificate has to have, and, where
# the receiver asks for the host's own certificate, the folder with own.pem and own.key.
# Who signs is read from the standard input. It fails where the receiver isn't to be trusted;
# one that doesn't answer is said on the standard output, in a line that begins so.
receiver=$1 port=$2 name=$3 dir=$4
ca=$(mktemp) || exit 2
trap 'rm -f "$ca"' EXIT
cat >"$ca"
if ! openssl crl2pkcs7 -nocrl -certfile "$ca" -out /dev/null 2>/dev/null; then
	echo "ca isn't made of certificates in PEM form: openssl can't read it" >&2
	exit 1
fi
case $receiver in *:*) receiver="[$receiver]" ;; esac
set -- -connect "$receiver:$port" -CAfile "$ca" -no-CApath -verify_return_error -showcerts
case $name in
*[!0-9.]*) case $name in *:*) set -- "$@" -verify_ip "$name" ;; *) set -- "$@" -verify_hostname "$name" -servername "$name" ;; esac ;;
*) set -- "$@" -verify_ip "$name" ;;
esac
[ ! -e "$dir/own.pem" ] || set -- "$@" -cert "$dir/own.pem" -key "$dir/own.key"

# One that is just being started, or has too much to do, gets another chance.
for try in 1 2 3; do
	said=$(timeout 20 openssl s_client "$@" </dev/null 2>&1)
	code=$?
	if [ $code = 0 ] && printf '%s\n' "$said" | grep -q 'Verify return code: 0 '; then
		echo "$receiver:$port has a certificate for $name that is trusted"
		exit 0
	fi
	wrong=$(printf '%s\n' "$said" | sed -n 's/^verify error:num=[0-9]*://p' | head -n 1)
	if [ -n "$wrong" ] || [ $code = 124 ]; then
		break
	fi
	[ $try = 3 ] || sleep 1
done
if [ -z "$wrong" ]; then
	if ! printf '%s\n' "$said" | grep -q '^CONNECTED'; then
		why=$(printf '%s\n' "$said" | sed -n 's/^connect: *//p; s/.*:system library:[^:]*:\([^:]*\):.*/\1/p' | head -n 1)
		lookup=$(printf '%s\n' "$said" | sed -n 's/.*BIO_lookup[^:]*:.*:\([^:]*\)$/\1/p' | head -n 1)
		echo "nobody answers at $receiver:$port: ${lookup:-${why:-$([ $code = 124 ] && echo "no connection within 20 s" || printf '%s\n' "$said" | head -n 1)}}"
		exit 0
	fi
	case $code in
	124) echo "the receiver $receiver:$port took the connection and made no handshake within 20 s: does it speak TLS there?" ;;
	*) echo "there is no TLS with the receiver $receiver:$port: $(printf '%s\n' "$said" | grep -m 1 -E 'errno|error:|alert' || printf '%s\n' "$said" | tail -n 1)" ;;
	esac >&2
	exit 1
fi
# The error is of the certificate that "depth=" names last before it.
depth=$(printf '%s\n' "$said" | sed '/^verify error/q' | sed -n 's/^depth=\([0-9]*\) .*/\1/p' | tail -n 1)
whose=$(printf '%s\n' "$said" | sed '/^verify error/q' | sed -n 's/^depth=[0-9]* //p' | tail -n 1)
{
	if [ "${depth:-0}" = 0 ]; then
		echo "the receiver $receiver:$port shows a certificate that can't be trusted: $wrong"
	else
		echo "the receiver $receiver:$port shows a certificate whose signer can't be trusted: $wrong"
	fi
	echo "it is the certificate of $whose"
	printf '%s\n' "$said" | openssl x509 -noout -issuer -enddate -ext subjectAltName 2>/dev/null | sed '/^X509v3/d; s/^ *//; s/^/the receiver'"'"'s own: /'
	echo "wanted: the name $name, signed by one of ca"
} >&2
exit 1
