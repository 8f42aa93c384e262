import { balanceWithCertificate, balanceWithDpop } from './load/balance.ts'
import { clientCredentials, manyClients } from './load/client-credentials.ts'
import { codeFlow } from './load/code-flow.ts'
import { discovery, jwks } from './load/documents.ts'
import { introspection } from './load/introspection.ts'
import type { Path } from './load/path.ts'
import { pushedRequest } from './load/pushed-request.ts'
import { refresh } from './load/refresh.ts'
import { transfer } from './load/transfer.ts'

/** In the order in which they are measured and printed. */
export const paths: readonly Path[] = [
  ...[clientCredentials, manyClients, pushedRequest, codeFlow, refresh, introspection, jwks, discovery],
  ...[balanceWithDpop, balanceWithCertificate, transfer],
]

/** @throws {RangeError} when a filter fits no path: a typing error must not measure nothing. */
export function choosePaths(filters: readonly string[]): readonly Path[] {
  for (const filter of filters)
    if (!paths.some(({ name }) => name.includes(filter)))
      throw new RangeError(`no path is called ${filter}: ${paths.map(({ name }) => name).join(', ')}`)
  return filters.length === 0 ? paths : paths.filter(({ name }) => filters.some((filter) => name.includes(filter)))
}
