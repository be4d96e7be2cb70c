package vault

import (
	"github.com/hashicorp/hcl/v2/hclwrite"
	"github.com/zclconf/go-cty/cty"
)

// intro stands at the top of a new store.
const intro = `# Secrets. Names, dates and who can read stand here in clear; values are sealed to
# the recipients. They are added and changed by "muster secret set" and its like,
# which "muster secret --help" lists; the lines that those write are sealed as a whole.
# Who is a recipient is edited here, and then "muster secret rekey" seals to them.

`

// New returns the file of an empty store, sealed to recipients.
func New(path string, to []Recipient) ([]byte, error) {
	data := newDataKey()
	sealed, err := sealKey(data, to)
	if err != nil {
		return nil, err
	}
	f := hclwrite.NewEmptyFile()
	for _, r := range to {
		b := f.Body().AppendNewBlock("recipient", []string{r.Name})
		b.Body().SetAttributeValue("key", cty.StringVal(r.Key))
		f.Body().AppendNewline()
	}
	f.Body().AppendNewBlock("seal", nil)
	src := intro + string(f.Bytes())
	s := &Store{Path: path, src: []byte(src), format: format, sealedKey: sealed, recipients: to, entries: map[string]*entry{}, keys: keysOf(data), edited: true, now: Today}
	s.sealedTo = append(s.sealedTo, to...)
	sortRecipients(s.sealedTo)
	return s.Bytes()
}
