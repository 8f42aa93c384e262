import { sql, type Transaction, z } from '@bankside/service-kit/postgres'
import { type PspRole, pspRoles, roleOfSoftware } from './psp-roles.ts'

/** What the register of a directory says of an organisation: whether it may act, and as what. */
export type RegisterAnswer = {
  readonly active: boolean
  /** Undefined where the register says nothing of roles: then it limits none. */
  readonly roles: ReadonlySet<PspRole> | undefined
}

export type RegisteredOrganisation = { readonly directory: string; readonly organisationId: string }
/** What was last answered; nothing before the first answer. */
export type RegisterEntry = RegisteredOrganisation & {
  readonly answer: RegisterAnswer | undefined
  readonly answeredAt: Date | undefined
}

const text = z.string().max(40)
const answerFormat = z.object({
  org_id: z.string().max(35),
  org_status: text,
  organisation_competent_authority_claims: z
    .object({ status: text, authorisations: z.array(z.object({ member_state: z.string().max(4), roles: z.array(text).max(10) })).max(40) })
    .optional(),
})

/**
 * The claims about an organisation as software statements have them, said by themselves. Whatever is not `Active` may not act.
 *
 * @returns undefined for what is no answer about this organisation: that says nothing, least of all that it lost its licence.
 */
export function readRegisterAnswer(document: unknown, organisationId: string, memberState: string): RegisterAnswer | undefined {
  const parsed = answerFormat.safeParse(document)
  if (!parsed.success || parsed.data.org_id !== organisationId) return undefined
  const { org_status, organisation_competent_authority_claims: licence } = parsed.data
  const here = licence?.authorisations.filter(({ member_state }) => member_state === memberState).flatMap(({ roles }) => roles)
  return {
    active: org_status === 'Active' && (licence === undefined || licence.status === 'Active'),
    roles: here && new Set(here.flatMap((role) => roleOfSoftware(role) ?? [])),
  }
}

const entryRow = z.object({
  directory: z.string(),
  organisation_id: z.string(),
  status: z.enum(['active', 'withdrawn']).nullable(),
  roles: z.array(z.string()).nullable(),
  answered_at: z.date().nullable(),
})

export async function findRegisterEntry(
  tx: Transaction,
  { directory, organisationId }: RegisteredOrganisation,
): Promise<RegisterEntry | undefined> {
  const row = await tx.maybeOne(sql.type(entryRow)`
    select directory, organisation_id, status, roles, answered_at from clients.register_entry
    where directory = ${directory} and organisation_id = ${organisationId}`)
  if (row === null) return undefined
  return {
    ...{ directory, organisationId, answeredAt: row.answered_at ?? undefined },
    answer: row.status === null ? undefined : { active: row.status === 'active', roles: rolesIn(row.roles) },
  }
}

/** As they are stored; undefined where no register said. */
export const rolesIn = (stored: readonly string[] | null | undefined): ReadonlySet<PspRole> | undefined =>
  stored ? new Set(stored.filter((role): role is PspRole => Object.hasOwn(pspRoles, role))) : undefined

/** An organisation whose software is being registered is asked about at once, also where it was asked about before. */
export async function expectRegisterEntry(tx: Transaction, { clientId, directory, now }: ExpectedEntry): Promise<void> {
  const time = sql.timestamp(now)
  await tx.query(sql.unsafe`
    insert into clients.register_entry (directory, organisation_id, created_at, next_ask_at)
    select ${directory}, organisation_id, ${time}, ${time} from clients.client where client_id = ${clientId} and organisation_id is not null
    on conflict on constraint register_entry_is_one_per_organisation do update set next_ask_at = ${time}`)
}

type ExpectedEntry = { readonly clientId: string; readonly directory: string; readonly now: Date }
