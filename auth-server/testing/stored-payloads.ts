import { sql, z } from '@bankside/service-kit/postgres'
import type { AdapterPayload } from 'oidc-provider'
import type { TestServer } from './test-server.ts'

const tables = { Session: 'session', AuthorizationCode: 'authorization_code' } as const

/** What the server would have written at another time, under its own seal. @returns what was there. */
export async function rewritePayloads(
  server: TestServer,
  model: keyof typeof tables,
  change: (payload: AdapterPayload) => AdapterPayload,
): Promise<AdapterPayload[]> {
  const table = sql.identifier(['oidc', tables[model]])
  const rows = await server.owner.any(sql.type(z.object({ id_hash: z.instanceof(Buffer), payload: z.string() }))`
    select id_hash, payload from ${table}`)
  const opened = rows.map(({ id_hash, payload }) => {
    const place = [model, id_hash.toString('base64url')] as const
    return { id_hash, place, payload: JSON.parse(server.seals.open(place, payload) ?? '') as AdapterPayload }
  })
  for (const { id_hash, place, payload } of opened)
    await server.owner.query(sql.unsafe`
      update ${table} set payload = ${server.seals.seal(place, JSON.stringify(change(payload)))} where id_hash = ${sql.binary(id_hash)}`)
  return opened.map(({ payload }) => payload)
}
