import { sql, type Transaction, z } from '@bankside/service-kit/postgres'
import type { CustomerId } from '../ids.ts'
import { normaliseUsername } from './sign-in-attempts.ts'

/** Longer than any e-mail address is. */
export const customerNameLimit = 254

const namedRow = z.object({ customer_id: z.templateLiteral(['cus_', z.string()]), by_username: z.boolean() })

/**
 * The customer whom somebody else names: by user name, or by an e-mail address that is verified and is one customer's alone.
 * A user name goes before an address that reads the same.
 */
export async function findCustomerByName(tx: Transaction, name: string): Promise<CustomerId | undefined> {
  if (name.length > customerNameLimit || name.includes('\0')) return undefined
  const found = await tx.any(sql.type(namedRow)`
    select customer_id, username = ${normaliseUsername(name)} as by_username from customers.customer
    where username = ${normaliseUsername(name)} or (email_verified and lower(email) = ${name.trim().toLowerCase()})
    limit 3`)
  const named = found.find(({ by_username }) => by_username) ?? (found.length === 1 ? found[0] : undefined)
  return named?.customer_id
}
