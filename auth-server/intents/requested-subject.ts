import { decodeJwt } from 'jose'
import type { ClaimsParameter, Client } from 'oidc-provider'
import { isFirstParty } from '../storage/client-storage.ts'
import { pairwiseSubject } from '../tokens/pairwise-subject.ts'
import type { RequestParameters } from './intent.ts'

/** A customer's name towards one client. */
export const subjectTowards = (client: Client, customerId: string, salt: string): string =>
  isFirstParty(client) ? customerId : pairwiseSubject(salt, customerId, client.clientId)

/**
 * Whether a customer may answer the request at all: one that names somebody, by an ID token of ours or by the claim `sub`, is
 * answered by nobody else (OIDC Core 3.1.2.1, 5.5.1). The hint was verified, with the client as its audience, when the request
 * came in; it may have expired.
 */
export function isAskedOf(params: RequestParameters, client: Client, { customerId, salt }: { customerId: string; salt: string }): boolean {
  const subject = subjectTowards(client, customerId, salt)
  return namedSubjects(params).every((named) => named === subject)
}

function namedSubjects({ id_token_hint: hint, claims }: RequestParameters): readonly unknown[] {
  const { id_token } = (typeof claims === 'string' ? JSON.parse(claims) : {}) as ClaimsParameter
  const claimed = id_token?.['sub']?.value
  return [...(typeof hint === 'string' ? [decodeJwt(hint).sub] : []), ...(claimed === undefined ? [] : [claimed])]
}
