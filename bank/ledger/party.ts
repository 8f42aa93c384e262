import { sql } from '@bankside/service-kit/postgres'

/** Who stands at the other end of an entry, as a statement names them. */
export type Party = {
  readonly name: string
  readonly schemeName?: string | undefined
  readonly identification?: string | undefined
}

/** A `ledger.party`, or null for whoever holds the account at the other end. */
export function partyValue(party: Party | undefined) {
  if (party === undefined) return sql.fragment`null::ledger.party`
  return sql.fragment`row(${party.name}, ${party.schemeName ?? null}, ${party.identification ?? null})::ledger.party`
}
