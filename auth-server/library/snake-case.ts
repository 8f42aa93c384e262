import { remembered } from '@bankside/service-kit/remembered'
import library from 'oidc-provider/lib/helpers/_/snake_case.js'

/** More than there are models and members of a client's metadata. */
const known = remembered(library, { atMost: 500 })

/** As the library's, which asks this for every artifact that it keeps or finds used: always of the same few names. */
function snakeCase(name = ''): string {
  return known(name)
}

// What imports it is the library.
export { snakeCase as default }
