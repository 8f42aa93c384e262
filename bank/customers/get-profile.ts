import { sql, type Transaction, z } from '@bankside/service-kit/postgres'
import type { CustomerId } from '../ids.ts'

/** Who a customer is: the same to the bank's own API and to UserInfo (NAT-S1). */
export type Profile = {
  readonly customerId: CustomerId
  readonly fullName: string
  readonly email: string
  readonly emailVerified: boolean
  /** All but the last three digits hidden. */
  readonly phone: string
  readonly createdAt: Date
}

const profileRow = z.object({
  customer_id: z.templateLiteral(['cus_', z.string()]),
  full_name: z.string(),
  email: z.string(),
  email_verified: z.boolean(),
  phone: z.string(),
  created_at: z.date(),
})

/** Undefined for a customer who is no more. */
export async function getProfile(tx: Transaction, customerId: CustomerId): Promise<Profile | undefined> {
  const row = await tx.maybeOne(sql.type(profileRow)`
    select customer_id, full_name, email, email_verified, phone, created_at from customers.customer where customer_id = ${customerId}`)
  return row === null
    ? undefined
    : {
        customerId: row.customer_id,
        fullName: row.full_name,
        email: row.email,
        emailVerified: row.email_verified,
        phone: maskPhone(row.phone),
        createdAt: row.created_at,
      }
}

const maskPhone = (phone: string): string => phone.replaceAll(/\d(?=(?:\D*\d){3})/g, '*')
