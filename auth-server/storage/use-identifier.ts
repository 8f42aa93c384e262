import { hash } from 'node:crypto'
import { identifierUse } from '@bankside/bank/access/used-identifiers'
import type { Prepared } from '@bankside/service-kit/prepared'

/** A proof may be dated this far ahead, so it stays acceptable longer than the library asks for it to be remembered. */
const rememberedLongerSeconds = 60

/** Whether the identifier of an assertion or proof is used for the first time. Seconds since the epoch say how long it must be remembered. */
export type UseIdentifierOf = (issuer: string, identifier: string, expiresAt: number) => Promise<boolean>

/** As it is remembered: its SHA-256 in hex, and until when. */
export type UsedIdentifier = { readonly hash: string; readonly until: Date }

/** @param joins Takes what is used up together with something else, and refused with it. */
export function identifierUseOf(prepared: Prepared, joins: (identifier: UsedIdentifier) => boolean = () => false): UseIdentifierOf {
  const use = identifierUse(prepared)
  return async (issuer, identifier, expiresAt) => {
    const hashed = hash('sha256', JSON.stringify([issuer, identifier]), 'hex')
    const used = { hash: hashed, until: new Date((expiresAt + rememberedLongerSeconds) * 1000) }
    return joins(used) || use(used.hash, used.until)
  }
}
