/** A service that logs people in, without asking for a password, and says of requests whose they are. */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { definePolicy, z } from 'gatewright';

export default definePolicy({
  name: 'login',
  summary: 'Logs in whoever comes to /login, and tells at /check who has.',
  options: z.strictObject({ secret: z.string().min(1).describe('What sessions are signed with.') }),
  create({ secret }) {
    const sign = (user: string): string => createHmac('sha256', secret).update(user).digest('base64url');
    const userOf = (session: string): string | null => {
      const [user = '', signature = ''] = session.split('.');
      const [given, expected] = [Buffer.from(signature), Buffer.from(sign(user))];
      return given.length === expected.length && timingSafeEqual(given, expected) ? user : null;
    };
    return {
      onRequest({ path, searchParams, cookies, requestHeaders }) {
        if (path === '/login') {
          // Back to the page first asked for, which must be one of ours.
          const back = searchParams.get('rd') ?? '/';
          const location = /^\/[^/\\]/.test(back) ? encodeURI(decodeURI(back)) : '/';
          const cookie = `session=ann.${sign('ann')}; Path=/; HttpOnly; SameSite=Lax`;
          return {
            status: 302,
            headers: [
              ['location', location],
              ['set-cookie', cookie],
            ],
          };
        }
        const user = userOf(cookies.get('session') ?? '');
        if (user !== null) return { status: 202, headers: [['x-auth-request-user', user]] };
        const wanted = requestHeaders.get('x-forwarded-uri') ?? '/';
        return { status: 302, headers: [['location', `/login?rd=${encodeURIComponent(wanted)}`]] };
      },
    };
  },
});
