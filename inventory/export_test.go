package inventory

// SnapshotIn is Snapshot in files of about so many bytes.
func (inv *Inventory) SnapshotIn(part int) ([][]byte, error) { return inv.snapshot(part) }

// QuoteHCL writes text as snapshots do.
func QuoteHCL(s string) string { return quoteHCL(s) }
