import java.io.ByteArrayInputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.security.MessageDigest;
import java.time.Duration;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.stream.IntStream;

/** java.net.http through a gateway: prints a line for each request: name, status, version, length, SHA-256 of the body. */
class Client {
  static final HttpClient client = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();

  public static void main(String[] arguments) throws Exception {
    String gateway = arguments[0];
    byte[] content = new byte[1_000_000];
    Arrays.fill(content, (byte) 'j');

    show("small", send(request(gateway + "/nginx/small.txt").GET()));
    show("large", send(request(gateway + "/nginx/large.bin").GET()));
    show("python", send(request(gateway + "/python/large.bin").GET()));
    show("head", send(request(gateway + "/nginx/large.bin").method("HEAD", BodyPublishers.noBody())));
    show("missing", send(request(gateway + "/nginx/nothing").GET()));
    show("posted", send(request(gateway + "/node/sum").POST(BodyPublishers.ofByteArray(content))));
    // Of a length that nobody knows before.
    show("chunked", send(request(gateway + "/node/sum").POST(BodyPublishers.ofInputStream(() -> new ByteArrayInputStream(content)))));
    show("expected", send(request(gateway + "/node/sum").expectContinue(true).POST(BodyPublishers.ofByteArray(content))));
    show("streamed", send(request(gateway + "/node/sum-stream").POST(BodyPublishers.ofByteArray(content))));

    List<CompletableFuture<HttpResponse<byte[]>>> together = IntStream.range(0, 50)
        .mapToObj(i -> client.sendAsync(request(gateway + "/nginx/small.txt?" + i).GET().build(), BodyHandlers.ofByteArray()))
        .toList();
    for (CompletableFuture<HttpResponse<byte[]>> response : together) show("together", response.join());
  }

  static HttpRequest.Builder request(String url) {
    return HttpRequest.newBuilder(URI.create(url)).timeout(Duration.ofSeconds(20));
  }

  static HttpResponse<byte[]> send(HttpRequest.Builder request) throws Exception {
    return client.send(request.build(), BodyHandlers.ofByteArray());
  }

  static void show(String name, HttpResponse<byte[]> response) throws Exception {
    byte[] body = response.body();
    String hash = HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(body));
    System.out.println(String.join(" ", name, "" + response.statusCode(), "" + response.version(), "" + body.length, hash));
  }
}
