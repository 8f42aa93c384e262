import type { errors } from 'oidc-provider'

/** The value, or the error with all that it says. */
export async function outcome(work: () => unknown): Promise<unknown> {
  try {
    return { value: await work() }
  } catch (error) {
    const { name, message, error_description, error_detail, statusCode } = error as errors.OIDCProviderError
    return { name, message, error_description, error_detail, statusCode }
  }
}
