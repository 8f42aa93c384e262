import { sql, type Transaction, z } from '@bankside/service-kit/postgres'
import { appendAudit } from '../audit/append-audit.ts'
import { recordEvent } from '../events/record-event.ts'
import type { RegisterAnswer, RegisteredOrganisation } from './register-entry.ts'

export type LicenceChange = {
  readonly clientId: string
  /** `roles` alone: it may act as before, but as something else. */
  readonly change: 'withdrawn' | 'restored' | 'roles'
}

const changeRow = z.object({ changed_client_id: z.string(), changed_from: z.string(), changed_to: z.string() })

export type Answered = RegisteredOrganisation & { readonly answer: RegisterAnswer; readonly now: Date; readonly nextAt: Date }

/**
 * Keeps what a register says of an organisation. Its clients are served, or not, as it says from their very next call on; what
 * customers allowed who is withdrawn ends afterwards (`endWithdrawnAccess`), and does not come back with the licence.
 *
 * @returns the clients for whom anything is new.
 */
export async function applyRegisterAnswer(
  tx: Transaction,
  { directory, organisationId, answer, now, nextAt }: Answered,
): Promise<readonly LicenceChange[]> {
  const roles = answer.roles === undefined ? null : sql.array([...answer.roles].sort(), 'text')
  const rows = await tx.any(sql.type(changeRow)`
    select * from clients.apply_register_entry(
      ${directory}, ${organisationId}, ${answer.active}, ${roles}, ${sql.timestamp(now)}, ${sql.timestamp(nextAt)})`)
  const changes = rows.map(({ changed_client_id: clientId, changed_from: from, changed_to: to }): LicenceChange => {
    return { clientId, change: from === to ? 'roles' : to === 'withdrawn' ? 'withdrawn' : 'restored' }
  })
  const details = { directory, organisationId, roles: answer.roles === undefined ? null : [...answer.roles].sort() }
  for (const { clientId, change } of changes) {
    const action = actions[change]
    await recordEvent(tx, { type: action, subject: clientId, clientId, payload: { change }, now })
    await appendAudit(tx, { actor: 'worker', action, subject: clientId, details, now })
  }
  return changes
}

const actions = { withdrawn: 'client.withdrawn', restored: 'client.restored', roles: 'client.licence_changed' } as const
