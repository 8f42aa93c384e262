import { hash } from 'node:crypto'
import { identifierUse } from '@bankside/bank/access/used-identifiers'
import type { Prepared } from '@bankside/service-kit/prepared'

/** A proof may be dated this far ahead, so it stays acceptable longer than the library asks for it to be remembered. */
const rememberedLongerSeconds = 60

/** Whether the identifier of an assertion or proof is used for the first time. Seconds since the epoch say how long it must be remembered. */
export type UseIdentifierOf = (issuer: string, identifier: string, expiresAt: number) => Promise<boolean>

export function identifierUseOf(prepared: Prepared): UseIdentifierOf {
  const use = identifierUse(prepared)
  return (issuer, identifier, expiresAt) =>
    use(hash('sha256', JSON.stringify([issuer, identifier]), 'hex'), new Date((expiresAt + rememberedLongerSeconds) * 1000))
}
