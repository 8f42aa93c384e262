import { getProfile } from '@bankside/bank/customers/get-profile'
import type { CustomerId } from '@bankside/bank/ids'
import { refuse } from '@bankside/bank/refusal'
import type { Call, Reply } from '../api.ts'
import { timestamp } from './reply.ts'

/** GET /users/me */
export async function readProfile({ tx, access, token }: Call): Promise<Reply> {
  const profile = await getProfile(tx, customerOf(access))
  if (profile === undefined) refuse('grant_revoked', 'the customer is no more')
  return {
    status: 200,
    body: {
      sub: token.subject,
      name: profile.fullName,
      email: profile.email,
      email_verified: profile.emailVerified,
      phone: profile.phone,
      created_at: timestamp(profile.createdAt),
    },
  }
}

/** @throws {Refusal} for a token that is of no customer. */
export function customerOf({ customerId }: Call['access']): CustomerId {
  if (customerId === undefined) refuse('token_without_consent', 'the token is of no customer')
  return customerId
}
