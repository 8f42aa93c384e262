import { sql, type Transaction, z } from '@bankside/service-kit/postgres'
import { type RegisterEntry, rolesIn } from './register-entry.ts'

const isWanted = (clientId: string | undefined) =>
  clientId === undefined
    ? sql.fragment`true`
    : sql.fragment`exists (
        select from clients.client c join clients.registration r on r.client_id = c.client_id
        where c.client_id = ${clientId} and c.organisation_id = e.organisation_id and r.software_issuer = e.directory)`

/** Has the worker ask its register about the organisation of a client, or all registers about everyone, now. @returns about how many. */
export async function askAgain(tx: Transaction, clientId: string | undefined, now: Date): Promise<number> {
  const rows = await tx.any(sql.type(z.object({ organisation_id: z.string() }))`
    update clients.register_entry e set next_ask_at = ${sql.timestamp(now)} where ${isWanted(clientId)} returning e.organisation_id`)
  return rows.length
}

/** What was answered, and what stood against an answer since. */
export type ListedEntry = RegisterEntry & { readonly lastError: string | undefined }

const entryRow = z.object({
  ...{ directory: z.string(), organisation_id: z.string(), status: z.enum(['active', 'withdrawn']).nullable() },
  ...{ roles: z.array(z.string()).nullable(), answered_at: z.date().nullable(), last_error: z.string().nullable() },
})

const listedAtMost = 500

export async function listRegisterEntries(tx: Transaction, clientId: string | undefined): Promise<readonly ListedEntry[]> {
  const rows = await tx.any(sql.type(entryRow)`
    select e.directory, e.organisation_id, e.status, e.roles, e.answered_at, e.last_error from clients.register_entry e
    where ${isWanted(clientId)} order by e.directory, e.organisation_id limit ${listedAtMost}`)
  return rows.map((row) => ({
    ...{ directory: row.directory, organisationId: row.organisation_id, answeredAt: row.answered_at ?? undefined },
    answer: row.status === null ? undefined : { active: row.status === 'active', roles: rolesIn(row.roles) },
    lastError: row.last_error ?? undefined,
  }))
}
