import { generateKeyPairSync } from 'node:crypto'
import type { Client } from 'pg'
import { proofKey } from '../load/signing.ts'
import type { ProofClient } from './target.ts'

/** Registers as many clients as a bank has third parties, like one that is registered, each with a key of its own. */
export async function cloneClients(db: Client, template: ProofClient, count: number): Promise<readonly ProofClient[]> {
  const clients = Array.from({ length: count }, (_, index): ProofClient & { readonly jwk: object } => {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const kid = `bench-${index}`
    return {
      ...template,
      clientId: `bench-${index}`,
      key: { algorithm: 'ES256', kid, privateKey },
      proofKey: proofKey(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey),
      jwk: { ...publicKey.export({ format: 'jwk' }), kid, alg: 'ES256', use: 'sig' },
    }
  })
  const { rows } = await db.query<{ columns: string }>(
    `select string_agg(quote_ident(attname), ', ') as columns from pg_attribute
     where attrelid = 'clients.client'::regclass and attnum > 0 and not attisdropped and attgenerated = ''`,
  )
  const columns = rows[0]?.columns ?? ''
  await db.query(
    `insert into clients.client (${columns})
     select ${columns.replaceAll(/[^ ,]+/g, 'copy.$&')} from jsonb_to_recordset($1) as wanted ("clientId" text, jwk jsonb) join clients.client template on template.client_id = $2,
       lateral jsonb_populate_record(template, jsonb_build_object('client_id', wanted."clientId",
         'metadata', template.metadata || jsonb_build_object('jwks', jsonb_build_object('keys', jsonb_build_array(wanted.jwk))))) copy
     on conflict (client_id) do update set metadata = excluded.metadata`,
    [JSON.stringify(clients.map(({ clientId, jwk }) => ({ clientId, jwk }))), template.clientId],
  )
  return clients
}
