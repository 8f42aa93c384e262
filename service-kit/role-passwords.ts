import { createHmac } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'

export const roles = ['bankside_auth_server', 'bankside_resource_api', 'bankside_worker', 'bankside_ledger', 'bankside_sealer'] as const
export type Role = (typeof roles)[number]

/**
 * Where one program starts everything (the sandbox and the tests), the passwords of the processes' roles follow from the
 * owner's, so that all who share one server agree without telling each other. A bank sets its own.
 */
export function rolePassword(ownerUrl: string, role: Role): string {
  const { password } = new URL(ownerUrl)
  if (password === '') throw new Error('the database URL has no password: the passwords of the roles are derived from it')
  return createHmac('sha256', decodeURIComponent(password)).update(`bankside role ${role}`).digest('base64url')
}

export function urlAs(ownerUrl: string, role: Role): string {
  const url = new URL(ownerUrl)
  url.username = role
  url.password = rolePassword(ownerUrl, role)
  return url.href
}

const setAttempts = 10

/** Sets them. Roles belong to the server, not to the database: of two who set one at once, PostgreSQL turns one away. */
export async function setRolePasswords(
  ownerUrl: string,
  passwordOf: (role: Role) => string | undefined = (role) => rolePassword(ownerUrl, role),
): Promise<void> {
  const client = new pg.Client({ connectionString: ownerUrl })
  await client.connect()
  try {
    for (const role of roles) {
      const password = passwordOf(role)
      if (password !== undefined) await setPassword(client, role, password)
    }
  } finally {
    await client.end()
  }
}

async function setPassword(client: pg.Client, role: Role, password: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await client.query(`alter role ${client.escapeIdentifier(role)} password ${client.escapeLiteral(password)}`)
      return
    } catch (error) {
      const concurrentlyUpdated = error instanceof pg.DatabaseError && error.code === 'XX000'
      if (!concurrentlyUpdated || attempt === setAttempts) throw error
      await sleep(5 * attempt)
    }
  }
}
