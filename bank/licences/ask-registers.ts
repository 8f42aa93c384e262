import { type Database, reading, sql, transact, z } from '@bankside/service-kit/postgres'
import { applyRegisterAnswer, type LicenceChange } from './apply-register-answer.ts'
import type { RegisterAnswer, RegisteredOrganisation } from './register-entry.ts'

/** A register that could be asked, by the name of its directory. @throws whatever stood against an answer. */
export type Register = (organisationId: string) => Promise<RegisterAnswer>
export type Registers = ReadonlyMap<string, Register>

export type RegisterNeeds = {
  readonly registers: Registers
  readonly now: Date
  /** At most so many organisations, asked about at the same time. */
  readonly limit: number
  readonly onChange?: (change: LicenceChange, organisation: RegisteredOrganisation) => void
  /** What was answered last goes on to hold. @param silentMs For how long there has been no answer. */
  readonly onFailure?: (error: unknown, organisation: RegisteredOrganisation, silentMs: number) => void
}

/** CERT-08: daily. */
const askEveryMs = 24 * 3_600_000
const askAgainMs = 5 * 60_000
const errorAtMostLength = 200

const dueRow = z.object({
  directory: z.string(),
  organisation_id: z.string(),
  answered_at: z.date().nullable(),
  created_at: z.date(),
})

/**
 * Asks about the organisations that are due, each once a day, and at once when it registers or somebody wants to know. Without
 * an answer everything stays as it was: it is asked again in a few minutes.
 *
 * @returns how many were asked about: none when none is due.
 */
export async function askRegisters(database: Database, needs: RegisterNeeds): Promise<number> {
  const due = await take(database, needs)
  await Promise.all(due.map((organisation) => askOne(database, organisation, needs)))
  return due.length
}

/** Of several workers each takes others; what one takes and dies with is due again a little later. */
async function take(database: Database, { registers, now, limit }: RegisterNeeds): Promise<z.infer<typeof dueRow>[]> {
  const directories = sql.array([...registers.keys()], 'text')
  return transact(database, async (tx) => [
    ...(await tx.any(sql.type(dueRow)`
      update clients.register_entry taken set next_ask_at = ${sql.timestamp(new Date(now.getTime() + askAgainMs))}
      where (directory, organisation_id) in (
        select e.directory, e.organisation_id from clients.register_entry e
        where e.next_ask_at <= ${sql.timestamp(now)} and e.directory = any (${directories}) and ${isOfAClient}
        order by e.next_ask_at limit ${limit} for update of e skip locked)
      returning directory, organisation_id, answered_at, created_at`)),
  ])
}

const isOfAClient = sql.fragment`exists (
  select from clients.client c join clients.registration r on r.client_id = c.client_id
  where c.organisation_id = e.organisation_id and r.software_issuer = e.directory and r.deleted_at is null)`

async function askOne(database: Database, row: z.infer<typeof dueRow>, needs: RegisterNeeds): Promise<void> {
  const { registers, now, onChange, onFailure } = needs
  const organisation = { directory: row.directory, organisationId: row.organisation_id }
  try {
    const answer = await registers.get(row.directory)?.(row.organisation_id)
    if (answer === undefined) return
    const nextAt = new Date(now.getTime() + askEveryMs)
    const changes = await transact(database, (tx) => applyRegisterAnswer(tx, { ...organisation, answer, now, nextAt }))
    for (const change of changes) onChange?.(change, organisation)
  } catch (error) {
    const why = (error instanceof Error ? error.message : String(error)).slice(0, errorAtMostLength)
    await reading(
      database.query(sql.unsafe`
        update clients.register_entry set last_error = ${why} where directory = ${row.directory} and organisation_id = ${row.organisation_id}`),
    )
    onFailure?.(error, organisation, now.getTime() - (row.answered_at ?? row.created_at).getTime())
  }
}

/** For how long the register has been silent about whom it has been silent about longest; nobody at all is no time. */
export async function longestSilenceMs(database: Database, directories: Iterable<string>, now: Date): Promise<number> {
  const { since } = await reading(
    database.one(sql.type(z.object({ since: z.date().nullable() }))`
      select min(coalesce(e.answered_at, e.created_at)) as since from clients.register_entry e
      where e.directory = any (${sql.array([...directories], 'text')}) and ${isOfAClient}`),
  )
  return since === null ? 0 : Math.max(0, now.getTime() - since.getTime())
}
