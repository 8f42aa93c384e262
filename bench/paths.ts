import { balanceWithCertificate, balanceWithDpop } from './load/balance.ts'
import { clientCredentials, manyClients } from './load/client-credentials.ts'
import { codeFlow, codeFlowWithConsent } from './load/code-flow.ts'
import { discovery, jwks } from './load/documents.ts'
import { introspection } from './load/introspection.ts'
import type { Path } from './load/path.ts'
import { pushedRequest } from './load/pushed-request.ts'
import { refresh } from './load/refresh.ts'
import { transfer } from './load/transfer.ts'

/** In the order in which they are measured and printed. */
export const allPaths: readonly Path[] = [
  ...[clientCredentials, manyClients, pushedRequest, codeFlow, codeFlowWithConsent, refresh, introspection, jwks, discovery],
  ...[balanceWithDpop, balanceWithCertificate, transfer],
]

/** @throws {RangeError} when a filter fits nothing: a typing error must not measure nothing. */
export function chooseNamed<Named extends { readonly name: string }>(
  among: readonly Named[],
  filters: readonly string[],
): readonly Named[] {
  const isCalled = ({ name }: Named, filter: string): boolean => name.toLowerCase().includes(filter.toLowerCase())
  for (const filter of filters)
    if (!among.some((one) => isCalled(one, filter)))
      throw new RangeError(`nothing is called ${filter}: ${among.map(({ name }) => name).join('; ')}`)
  return filters.length === 0 ? among : among.filter((one) => filters.some((filter) => isCalled(one, filter)))
}
