"""What each profile of the study costs: writes results/cost/profiles.csv, .md, .tex. Takes minutes, all of it counting.

Hours are measured where results/ has the profile's tables, and counted from multiply-accumulates where a GPU is meant.
"""

from lkca.studies.profile_costs import profile_costs
from lkca.tables import write_table

if __name__ == "__main__":
    table = profile_costs()
    write_table(table.round(3), "cost/profiles")
    print(table.round(3).to_string(index=False))
