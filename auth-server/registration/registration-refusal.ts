import { Refusal } from '@bankside/service-kit/refusal'

/** RFC 7591 section 3.2.2, and what stands before it: who does not prove who it is gets no further. */
export type RegistrationRefusal =
  | 'invalid_redirect_uri'
  | 'invalid_client_metadata'
  | 'invalid_software_statement'
  | 'unapproved_software_statement'
  | 'invalid_client'
  | 'invalid_token'
  | 'temporarily_unavailable'

export const statusOfRefusal: Readonly<Record<RegistrationRefusal, number>> = {
  invalid_redirect_uri: 400,
  invalid_client_metadata: 400,
  invalid_software_statement: 400,
  unapproved_software_statement: 400,
  invalid_client: 401,
  invalid_token: 401,
  temporarily_unavailable: 503,
}

export function refuseRegistration(code: RegistrationRefusal, message: string, options: { cause?: unknown } = {}): never {
  throw new Refusal<RegistrationRefusal>(code, message, options)
}

export const isRegistrationRefusal = (error: unknown): error is Refusal<RegistrationRefusal> =>
  error instanceof Refusal && Object.hasOwn(statusOfRefusal, error.code)
