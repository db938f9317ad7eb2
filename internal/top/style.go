package top

import (
	"charm.land/lipgloss/v2"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
)

// styles paint tones; the zero value paints none.
type styles struct {
	on    bool
	tones [numTones]lipgloss.Style
}

// newStyles uses the terminal's own sixteen colours, which its user has chosen
// to be readable.
func newStyles(color bool) *styles {
	ink := func(n string) lipgloss.Style { return lipgloss.NewStyle().Foreground(lipgloss.Color(n)) }
	return &styles{on: color, tones: [numTones]lipgloss.Style{
		faint:  lipgloss.NewStyle().Faint(true),
		strong: lipgloss.NewStyle().Bold(true),
		calm:   ink("2"),
		warn:   ink("3"),
		bad:    ink("1"),
		chosen: lipgloss.NewStyle().Reverse(true),
	}}
}

func (s *styles) paint(t tone, text string) string {
	if !s.on || t == plain || text == "" {
		return text
	}
	return s.tones[t].Render(text)
}

// severityTone is that of a finding.
func severityTone(s analyzer.Severity) tone {
	switch s {
	case analyzer.Error:
		return bad
	case analyzer.Warning:
		return warn
	}
	return plain
}
