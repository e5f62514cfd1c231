package dashboard

import (
	"net/http"

	"campaign-runner/campaign"
	"campaign-runner/campaign/hours"
	"campaign-runner/campaign/report"
	"campaign-runner/campaign/texts"
	"campaign-runner/ratelimit"
)

// An outlook is how the rest of a campaign will go.
type outlook struct {
	report.Foresight
	When hours.Schedule // its contacts may be contacted
}

// Zones reports whether its contacts go by more than one clock, or by hours.
func (o outlook) Zones() bool {
	return len(o.Steps) > 1 || len(o.Steps) == 1 && o.Steps[0].Name != ""
}

// ByRungs tells whom it will contact again by itself.
func (o outlook) ByRungs() any {
	if m := o.Rungs.Message(); !m.IsZero() {
		return m
	}
	return texts.Line(nil)
}

// plan serves how the rest of a campaign will go.
func (p *pages) plan(w http.ResponseWriter, r *http.Request, c campaign.Campaign) error {
	found, err := report.Foretell(r.Context(), p.store, c.Name, ratelimit.Rate{})
	if err != nil {
		return err
	}
	p.show(w, r, http.StatusOK, "plan", view{Title: texts.Of("plan.of", "campaign", texts.Name(c.Name)), Nav: "campaigns", Body: outlook{found, c.Settings.Hours}})
	return nil
}
